"""Real workers: ``celery -A project worker`` in processes of their own, on the test's database."""
