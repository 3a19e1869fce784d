"""Result folders on disk: runs, manifest, claims, checksums, and results that come from elsewhere."""
