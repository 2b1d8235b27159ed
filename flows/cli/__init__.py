"""The command line `civitai-etl`, one module per group of commands."""
