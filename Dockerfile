# Taglane with the sample application (tests/apps/shop), for compose.yaml: one image for the scheduler, the workers,
# the console and the command line. For your own application, start from it or repeat the first half and copy your code.
FROM python:3.11-slim

WORKDIR /srv/taglane
COPY pyproject.toml constraints.txt README.md ./
COPY worker_sdk worker_sdk
COPY scheduler scheduler
COPY cli cli
RUN pip install --no-cache-dir -c constraints.txt '.[console]'

# The application: any folder on PYTHONPATH that `-A shop.celery` can be imported from.
COPY tests/apps/shop /srv/apps/shop
ENV PYTHONPATH=/srv/apps PYTHONUNBUFFERED=1 SHOP_DATA=/srv/data
RUN useradd --system --no-create-home taglane \
    && python -m shop.seed /srv/data \
    && chown -R taglane /srv/data

USER taglane
WORKDIR /srv/apps
CMD ["taglane", "--help"]
