"""Prefect's runner, but for how the runs end with it: a run that has reported its end keeps its state."""

import asyncio

from prefect.runner import Runner

from flows.cli.prefect_server import GRACE_SECONDS


class FlowRunner(Runner):
    """A runner whose runs report their own end.

    Its schedules stay active when it ends. Otherwise a machine that was down at night would stay paused.
    """

    def __init__(self) -> None:
        super().__init__(pause_on_shutdown=False)

    async def cancel_all(self) -> None:
        """End the processes of all runs, when the runner itself ends.

        Prefect's runner makes each run Cancelled afterwards, whatever it has become meanwhile. A run that was Completed
        while its process still exited would then be done again. So nobody but the process says how its run ended. If it
        cannot, the runner says that the run crashed, which Prefect's server accepts only if the run has not ended.
        """
        processes = self._process_manager
        ends = [processes.kill(run, GRACE_SECONDS) for run in processes.flow_run_ids()]
        await asyncio.gather(*ends)
