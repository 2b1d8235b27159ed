"""The shell around pipelines and transforms: the command line, the Prefect flow, and what both show to people."""
