"""The demo site: a small Django project around `pgflow_django`, with an ETL flow on real data."""
