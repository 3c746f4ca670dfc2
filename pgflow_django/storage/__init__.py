"""Between the tables and the services: definitions as rows, and what a database says."""
