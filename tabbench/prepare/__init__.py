"""What happens to training rows before a model sees them: subsampling, preprocessing, early stopping."""
