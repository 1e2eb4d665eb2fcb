"""What a killed erasure or rotation left undone is done before anything else is."""

from __future__ import annotations

from optout.project import Project
from optout.rights import erase, rotate
from optout.rights.erase import Publish
from optout.rights.journal import Journal, Task


def settle(project: Project, publish: Publish) -> Task | None:
    """Finish the task that the journal names; returns it, None where there was none.

    The caller holds the run lock, or is the night's run itself.
    """
    task = Journal(project.data_dir).pending()
    if task is None:
        return None
    work = erase.carry_out if task.kind == erase.ERASURE else rotate.carry_out
    work(project, task, publish)
    return task
