"""What a killed erasure or rotation left undone is done before anything else is."""

from __future__ import annotations

import logging

from optout.project import Project
from optout.rights import erase, rotate
from optout.rights.erase import Publish
from optout.rights.journal import Journal, Task

log = logging.getLogger(__name__)


def settle(project: Project, publish: Publish) -> Task | None:
    """Finish the task that the journal names; returns it, None where there was none.

    The caller holds the run lock, or is the night's run itself.
    """
    task = Journal(project.data_dir).pending()
    if task is None:
        return None
    if task.kind == erase.ERASURE:
        left = erase.carry_out(project, task, publish).left
        if left:
            log.warning("an erasure is open: %d files still name the person", len(left))
    else:
        rotate.carry_out(project, task, publish)
    return task
