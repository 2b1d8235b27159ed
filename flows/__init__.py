"""Prefect flows and deployments, and the steps that they share with the command line."""
