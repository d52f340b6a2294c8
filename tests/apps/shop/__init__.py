"""A sample application: the Celery project of a small shop, as it was before it knew Taglane."""
