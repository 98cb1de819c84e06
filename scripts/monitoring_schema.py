"""What may stand in our files for Prometheus, and for promtool's test of the alerts.

The keys are those of Prometheus' documentation (configuration, alerting rules, unit testing for
rules) of which we make use; whoever needs another one adds it here.
"""

from collections.abc import Iterator
from typing import Any

from scripts.config_keys import Problem, keys, list_of, named, unknown_keys

_ALERT_LABELS = named("severity")
_ANNOTATIONS = named("summary", "runbook")
_TEXT = {"type": "string"}

RULES = keys(
    groups=list_of(
        keys(
            name=_TEXT,
            interval=_TEXT,
            rules=list_of(
                keys(
                    alert=_TEXT,
                    expr=_TEXT,
                    keep_firing_for=_TEXT,
                    labels=_ALERT_LABELS,
                    annotations=_ANNOTATIONS,
                    **{"for": _TEXT},
                )
            ),
        )
    )
)
PROMETHEUS = keys(
    **{"global": keys(scrape_interval=_TEXT, evaluation_interval=_TEXT, scrape_timeout=_TEXT)},
    rule_files=list_of(_TEXT),
    scrape_configs=list_of(
        keys(
            job_name=_TEXT,
            scrape_interval=_TEXT,
            metrics_path=_TEXT,
            kubernetes_sd_configs=list_of(
                keys(role=_TEXT, namespaces=keys(names=list_of(_TEXT), own_namespace={}))
            ),
            file_sd_configs=list_of(keys(files=list_of(_TEXT), refresh_interval=_TEXT)),
            relabel_configs=list_of(
                keys(
                    source_labels=list_of(_TEXT),
                    separator=_TEXT,
                    regex=_TEXT,
                    replacement=_TEXT,
                    target_label=_TEXT,
                    action=_TEXT,
                )
            ),
        )
    ),
)
RULE_TESTS = keys(
    rule_files=list_of(_TEXT),
    evaluation_interval=_TEXT,
    tests=list_of(
        keys(
            name=_TEXT,
            interval=_TEXT,
            input_series=list_of(keys(series=_TEXT, values=_TEXT)),
            alert_rule_test=list_of(
                keys(
                    eval_time=_TEXT,
                    alertname=_TEXT,
                    exp_alerts=list_of(
                        keys(
                            exp_labels=named(
                                "severity", "application", "deployment", "reason", "instance"
                            ),
                            exp_annotations=_ANNOTATIONS,
                        )
                    ),
                )
            ),
        )
    ),
)


def check_prometheus(config: Any) -> Iterator[Problem]:
    """Yield the unknown keys of a Prometheus configuration."""
    return unknown_keys(config, PROMETHEUS, {})


def check_rules(rules: Any) -> Iterator[Problem]:
    """Yield the unknown keys of a file of alert rules."""
    return unknown_keys(rules, RULES, {})


def check_rule_tests(tests: Any) -> Iterator[Problem]:
    """Yield the unknown keys of a file of promtool's rule tests."""
    return unknown_keys(tests, RULE_TESTS, {})
