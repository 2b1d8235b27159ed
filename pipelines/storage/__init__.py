"""The data directory: its paths, atomic replacement of files, the writer lock, plain errors of the disk."""
