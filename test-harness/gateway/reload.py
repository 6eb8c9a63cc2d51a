"""A gateway that takes one configuration after another without a new process.

Envoy compiles every module when it starts, which takes longer than all that a test asks afterwards.
Listeners and clusters that come from files can be replaced in a running one, and what it has
compiled stays."""

import json
import time
import urllib.request

import yaml

from . import config
from .stack import DidNotStart, Stack

# Of the discovery service: the kind of its resources, where Envoy counts, what is to be waited for.
SERVICES = {
    "cds": ("envoy.config.cluster.v3.Cluster", "cluster_manager", "cluster_manager.warming_clusters"),
    "lds": ("envoy.config.listener.v3.Listener", "listener_manager",
            "listener_manager.total_listeners_warming"),
}


class Reloading(Stack):
    """One Envoy for many configurations of an example. Nothing listens before the first `reload`."""

    # What is replaced goes at once, with its memory.
    options = ("--drain-time-s", "1", "--drain-strategy", "immediate")
    round = 0

    def configuration(self, example):
        """What does not change: the example without listeners and clusters."""
        whole = yaml.safe_load(super().configuration(example))
        del whole["static_resources"]
        whole["node"] = {"id": "test", "cluster": "test"}
        whole["dynamic_resources"] = {}
        for name in SERVICES:
            self.write(name, [])
            source = {"path_config_source": {"path": str(self.directory / f"{name}.yaml")},
                      "resource_api_version": "V3"}
            whole["dynamic_resources"][f"{name}_config"] = source
        return yaml.safe_dump(whole, sort_keys=False)

    def reload(self, edit=None, cache=False, in_place=False):
        """Puts the example in force, changed by `edit`. Plugins know nothing of what was before, unless
        it is an update `in_place`, which those who ask see at some time after this."""
        if not in_place:
            self.round += 1
            self.ports[config.LISTENER] = config.free_ports(1)[0]
        self.edit, self.cache = edit, cache
        resources = yaml.safe_load(super().configuration(self.example))["static_resources"]
        # Another name is another VM, with another memory.
        for wasm in config.wasm_configs(resources):
            wasm["vm_config"]["vm_id"] += f"-{self.round}"
        for listener in resources["listeners"]:
            listener["name"] += f"-{self.round}"
        # Clusters first: the routes name them.
        self.update("cds", resources["clusters"])
        self.update("lds", resources["listeners"])

    def update(self, name, resources):
        """Replaces a file and waits until Envoy has taken it; DidNotStart says why it has not."""
        _, manager, warming = SERVICES[name]
        taken, refused = (f"{manager}.{name}.{end}" for end in ("update_success", "update_rejected"))
        before, said = self.counters(manager), len(self.log)
        self.write(name, resources)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            now = self.counters(manager)
            if now[refused] > before[refused]:
                raise DidNotStart(f"Envoy refused it:\n{self.log[said:]}")
            if now[taken] > before[taken] and now[warming] == 0:
                return
            time.sleep(0.02)
        raise DidNotStart(f"Envoy did not take it:\n{self.log[said:]}")

    def write(self, name, resources):
        """A file appears under its name at once, as a whole."""
        kind = f"type.googleapis.com/{SERVICES[name][0]}"
        path = self.directory / f"{name}.yaml"
        new = path.with_suffix(".new")
        new.write_text(yaml.safe_dump({"version_info": str(self.round), "resources": [
            {"@type": kind, **resource} for resource in resources]}, sort_keys=False))
        new.rename(path)

    def counters(self, manager):
        """Envoy's counters and gauges of one manager."""
        # Envoy compiles on the thread that answers this.
        url = f"{self.admin_url}/stats?format=json&filter=^{manager}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            found = json.load(answer)["stats"]
        return {one["name"]: one["value"] for one in found if "name" in one}
