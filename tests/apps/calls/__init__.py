"""An application that uses all of Celery's calls, unchanged: what `docs/celery.md` says of them is tested on it."""
