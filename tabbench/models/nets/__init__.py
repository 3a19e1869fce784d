"""Plain PyTorch modules of the networks, a net a file, and the one trainer that all of them share."""
