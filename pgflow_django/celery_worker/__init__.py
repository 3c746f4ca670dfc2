"""What a Celery worker does for pgflow: hosts claiming loops in its pool, and looks after them.

Adapter layer. Only this package, ``celery`` and ``tasks`` know Celery.
"""
