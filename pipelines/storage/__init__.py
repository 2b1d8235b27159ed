"""The data directory: its places, atomic replacement of files, the writer lock, plain errors of the disk."""
