"""The raw layer: payload kinds, documents and observations, the loader, the warehouse and its archive."""
