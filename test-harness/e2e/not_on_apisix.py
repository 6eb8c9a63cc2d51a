"""Scenarios of the suite that APISIX cannot run, and why. docs/apisix.md has them as a table."""

STREAM = ("What streams goes through the bridge to one upstream; nginx resends the same body, so that no "
          "other provider can be asked. Requests that do not stream are called by the plugin and do fail "
          "over.")

STATUS = "The status has left before the whole answer is there: the client gets the error with the provider's 200."
WAITS = ("An answer cannot be held while a call is made: `prompt-guard.moderation.answers` is refused at configure "
         "time. Questions are judged.")
WORKERS = "There is no memory that the workers share: each worker of nginx counts for itself."
METRICS = ("Metrics of Wasm plugins vanish in APISIX, and there is no timer for the report. ai-metrics feeds "
           "APISIX's own apisix_llm_* metrics instead.")
BROKEN = ("nginx answers 502 in the provider's place; the client gets that status, with the error in its own "
          "protocol.")
MASKS = ("By itself prompt-guard changes no request: what masks is refused at configure time. It blocks and flags, "
         "and the bundle masks.")
CAPS = ("By itself ai-auth changes no request: who may ask for so many tokens, and does not say for how many, is told "
        "to (403). The bundle adds the number.")
UNSEEN = ("By itself the cache keeps no answer that the bridge translates or in which it seals names, as it has seen "
          "what the provider has sent. Calls (`inline: call`) it has seen as the client gets them.")
COUNTS = ("By itself token-ratelimit reads the tokens of an answer, but not what a service is configured to count: "
          "ai-proxy finds that when it is too late to tell, and one is charged. Calls (`inline: call`) are charged as "
          "they are.")
ANSWERS = ("By itself prompt-guard changes no answer: `answers` is refused at configure time. The bundle ends "
           "answers and masks in them.")

# Files about Envoy's own configuration; those about APISIX's are test_apisix_*.py.
ENVOYS = {"test_config.py", "test_examples.py"}

# The test's id (file::test, and parameters if they matter), and the reason.
EVERYWHERE = {
    "test_cache.py::test_a_hundred_equal_requests_are_one_for_the_provider":
        "A request cannot wait for another one of the same worker: there is no timer that would wake it.",
    "test_cache.py::test_savings_are_counted": METRICS,
    "test_errors.py::test_an_answer_that_makes_no_sense": STATUS,
    "test_errors.py::test_a_connection_that_breaks_before_the_answer": BROKEN,
    "test_errors.py::test_a_provider_that_is_down": BROKEN,
    "test_failover.py::test_a_streamed_request_fails_over_too": STREAM,
    "test_guard.py::test_an_answer_that_a_service_outside_is_against_is_withheld": WAITS,
    "test_guard.py::test_a_stream_ends_where_a_service_outside_is_against_it": WAITS,
    "test_guard.py::test_an_answer_that_cannot_be_judged_in_time_is_not_let_out": WAITS,
    "test_plugins.py::test_many_at_once_do_not_get_more_than_there_is": WORKERS,
    "test_plugins.py::test_every_request_is_counted_once_with_what_it_used": METRICS,
    "test_routing.py::test_each_attempt_is_of_its_own_protocol[503-stream]": STREAM,
    "test_routing.py::test_each_attempt_is_of_its_own_protocol[429-stream]": STREAM,
    "test_routing.py::test_each_attempt_is_of_its_own_protocol[dropped-stream]": STREAM,
    "test_routing.py::test_nobody_listens_at_the_first": STREAM,
}

DENIED = [f"test_guard.py::test_a_denied_answer_of_{api}" for api in (
    "chat_ends_as_one_that_a_filter_stopped", "completions", "responses", "messages", "gemini")]

BUNDLE = dict.fromkeys(DENIED, STATUS)

SEPARATE = {
    **dict.fromkeys(DENIED, ANSWERS),
    "test_guard.py::test_what_a_pattern_denies_does_not_get_out_however_it_is_cut": ANSWERS,
    "test_guard.py::test_data_that_the_model_says_is_masked": ANSWERS,
    "test_guard.py::test_a_conversation_that_goes_on_is_masked_as_it_was": MASKS,
    "test_guard.py::test_what_was_masked_comes_back_in_chat": MASKS,
    "test_guard.py::test_what_was_masked_comes_back_in_responses": MASKS,
    "test_guard.py::test_what_was_masked_comes_back_in_messages": MASKS,
    "test_guard.py::test_what_was_masked_comes_back_in_gemini": MASKS,
    "test_guard.py::test_a_service_outside_judges_the_masked_text": MASKS,
    "test_plugins.py::test_who_does_not_say_how_many_tokens_gets_as_many_as_it_may": CAPS,
    "test_plugins.py::test_an_address_is_masked_for_the_provider_and_restored_for_the_client": MASKS,
    "test_cache.py::test_masked_requests_share_nothing_personal": MASKS,
    "test_cache.py::test_official_clients_take_what_is_replayed[responses-whole]": UNSEEN,
    "test_cache.py::test_official_clients_take_what_is_replayed[responses-stream]": UNSEEN,
    "test_cache.py::test_official_clients_take_what_came_through_another_api[responses-whole]": UNSEEN,
    "test_cache.py::test_official_clients_take_what_came_through_another_api[messages-stream]": UNSEEN,
    "test_cache.py::test_official_clients_take_what_came_through_another_api[gemini-whole]": UNSEEN,
    "test_services.py::test_what_a_service_counts_is_limited": COUNTS,
}

# What each kind of example cannot run.
REASONS = {
    "apisix/bundle.yaml": {**EVERYWHERE, **BUNDLE},
    "apisix/full-chain.yaml": {**EVERYWHERE, **SEPARATE},
}


def cannot(example, test):
    """Why this example cannot run a test on APISIX; `None` if it can."""
    if test.split("::")[0] in ENVOYS:
        return "it is about Envoy's own configuration"
    plain = test.replace(f"{example}-", "").replace(f"[{example}]", "")
    for name, reason in REASONS.get(example, {}).items():
        if plain == name or ("[" not in name and plain.startswith(name + "[")):
            return reason
    return None


def table():
    """The reasons as docs/apisix.md has them: the tests that share one in one row."""
    rows = ["| scenario | left out for | why |", "| --- | --- | --- |"]
    for whom, reasons in (("both", EVERYWHERE), ("the bundle", BUNDLE), ("separate plugins", SEPARATE)):
        by_reason = {}
        for test, reason in reasons.items():
            by_reason.setdefault(reason, []).append(f"`{test.split('::')[1]}`")
        rows += [f"| {'<br>'.join(tests)} | {whom} | {reason} |" for reason, tests in by_reason.items()]
    return "\n".join(rows)
