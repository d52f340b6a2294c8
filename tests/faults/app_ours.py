"""Our application: imported by worker processes alone, since `install` changes Celery's ids in its process."""

import taglane

app = taglane.create_app("faults", include=["faults.tasks"])
