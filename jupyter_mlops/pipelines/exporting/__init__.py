"""Pipelines as workflows of other systems: GitHub, GitLab, Airflow."""
