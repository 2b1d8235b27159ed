"""What the tests of `serve` and of the flows ask a Prefect server over its REST interface."""

import json
import socket
import time
import urllib.error
import urllib.request

#: The servers are on loopback, whatever proxy there is.
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
TERMINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """What the tests ask the server's REST interface."""

    def __init__(self, api_url, home):
        self.api_url = api_url
        self.home = home

    def ask(self, path, body=None, method="POST", attempts=10):
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.api_url + path, data, {"content-type": "application/json"}, method=method)
        try:
            with DIRECTLY.open(request, timeout=30) as response:
                return json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            # The server's database has one writer, too; Prefect's own client asks again.
            if error.code != 503 or not attempts:
                raise
        time.sleep(0.5)
        return self.ask(path, body, method, attempts - 1)

    def deployments(self, names):
        """The deployments of these flows and names, once all are served."""
        return {name: self.deployment(name) for name in names}

    def deployment(self, name, seconds=60):
        """The deployment of this flow and name, once it is served."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                row = self.ask(f"/deployments/name/{name}", method="GET")
            except urllib.error.HTTPError as error:
                if error.code != 404:
                    raise
            except urllib.error.URLError:
                pass  # it is starting
            else:
                if row["status"] == "READY":
                    return row
            time.sleep(0.3)
        raise AssertionError(f"{name} was not registered in {seconds} s")

    def run(self, deployment, parameters):
        return self.ask(f"/deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})["id"]

    def final_state(self, run_id, seconds=300):
        return self._state(run_id, lambda state: state["type"] in TERMINAL, seconds)

    def state_of_name(self, run_id, name, seconds=60):
        return self._state(run_id, lambda state: state["name"] == name, seconds)

    def _state(self, run_id, is_wanted, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = self.ask(f"/flow_runs/{run_id}", method="GET")["state"]
            if is_wanted(state):
                return state
            time.sleep(0.3)
        raise AssertionError(f"run {run_id} is still {state['name']}: {state['message']}")

    def states(self, run_id):
        """All states of a run, in their order."""
        states = self.ask(f"/flow_run_states/?flow_run_id={run_id}", method="GET")
        return sorted(states, key=lambda state: state["timestamp"])

    def first_run(self, deployment, name, seconds=120):
        """The first run of a deployment's schedule that is in the state of this name, once there is one."""
        asked = {
            "deployments": {"id": {"any_": [deployment["id"]]}},
            "flow_runs": {"state": {"name": {"any_": [name]}}, "tags": {"all_": ["auto-scheduled"]}},
        }
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if runs := self.ask("/flow_runs/filter", asked | {"sort": "EXPECTED_START_TIME_ASC", "limit": 1}):
                return runs[0]
            time.sleep(0.3)
        raise AssertionError(f"no run of {deployment['name']} is {name} after {seconds} s")

    def runs(self, flow):
        """The runs of a flow that have begun, or should have."""
        asked = {"flows": {"name": {"any_": [flow]}}, "sort": "EXPECTED_START_TIME_ASC", "limit": 200}
        rows = self.ask("/flow_runs/filter", asked)
        return [row for row in rows if row["state_name"] != "Scheduled"]

    def messages(self, runs, text):
        """The lines of the log of these runs that have the text."""
        lines = self.ask("/logs/filter", {"logs": {"flow_run_id": {"any_": runs}}, "limit": 200})
        return [line["message"] for line in lines if text in line["message"]]

    def artifacts(self, run_id):
        return self.ask("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run_id]}}})
