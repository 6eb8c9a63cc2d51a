"""Scenarios of the suite that APISIX cannot run, and why. docs/apisix.md has them as a table."""

# The beginning of the test's id (file::test[parameters]), and the reason.
REASONS = {
}


def cannot(test):
    """Why APISIX cannot run a test; `None` if it can."""
    plain = test.replace("apisix/bundle.yaml-", "").replace("[apisix/bundle.yaml]", "")
    for name, reason in REASONS.items():
        if plain == name or plain.startswith(name + "["):
            return reason
    return None
