"""Background processes as a page shows them: started when something is missing, with their progress."""

import hashlib

import streamlit as st

from facedep.data.scan import find_cache_path
from facedep.data.sources import Dataset
from facedep.paths import cache_dir
from facedep.runs import jobs


def name_job(kind: str, dataset: Dataset, *details: str) -> str:
    """Returns the name of the job that does this kind of work on a data set, with these details.

    Args:
        kind: What it does, in letters.
        dataset: The data set; changed pictures give another name.
        details: What else another job would do otherwise: a model's name, a protocol.
    """
    key = " ".join((find_cache_path(dataset).stem, *details))
    return f"{kind}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def follow_job(name: str, argv: list[str], *, offer: str = "") -> None:
    """Starts a background process unless it is running, and shows its progress until it ends.

    Args:
        name: The job's name.
        argv: Its command line.
        offer: What the button says that starts it; if empty, it starts by itself.

    Raises:
        RunError: The process cannot be started.
    """
    job = jobs.read_job(name)
    problem = ""
    if job.state in (jobs.FAILED, jobs.LOST):
        problem = job.message or "The work in the background broke off."
    elif job.state == jobs.FINISHED and is_followed(name):
        problem = (
            f"The work was done, but its result could not be kept in {cache_dir()}. Free some space there, or see that "
            "you may write to it."
        )
    if problem or (offer and job.state != jobs.RUNNING):
        card = st.empty()
        with card.container():
            if problem:
                st.warning(problem, icon=":material/error:")
            if not st.button("Try again" if problem else offer, key=f"start {name}"):
                return
        card.empty()
    jobs.start_job(name, argv)
    st.session_state.setdefault("followed_jobs", set()).add(name)

    @st.fragment(run_every=0.7)
    def show() -> None:
        job = jobs.read_job(name)
        if job.state != jobs.RUNNING:
            st.rerun()
        show_progress(job)

    show()


def show_progress(job: jobs.Job) -> None:
    """Shows how far work in the background is.

    Args:
        job: The work.
    """
    share = job.num_done / job.num_total if job.num_total else 0.0
    count = f": {job.num_done:,} of {job.num_total:,}" if job.num_total else " …"
    st.progress(min(1.0, share), f"{job.stage or 'Starting'}{count}")
    st.caption("This goes on in the background, once for these pictures. Everything else can be used meanwhile.")


def is_followed(name: str) -> bool:
    """Returns whether this visitor has followed a job and not yet had its result.

    Args:
        name: The job's name.
    """
    return name in st.session_state.get("followed_jobs", ())


def forget_job(name: str) -> None:
    """Forgets that this visitor has followed a job: its result is there, and may be lost and made again later.

    Args:
        name: The job's name.
    """
    st.session_state.get("followed_jobs", set()).discard(name)
