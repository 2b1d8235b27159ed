"""Raw to star: polars transforms from documents and observations to star-schema Parquet."""
