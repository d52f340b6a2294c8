"""A Celery application that uses all of Celery's calls, unchanged: what `docs/celery.md` says of each is tested on it."""
