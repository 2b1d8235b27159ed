"""Marimo notebooks over `analytics.duckdb`; `civitai-etl dashboard` opens them."""
