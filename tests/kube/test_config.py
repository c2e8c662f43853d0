"""The section `cluster.kubernetes` of the config file."""

import pytest

from edgeobs import config as module
from edgeobs.config import ConfigError, parse


def test_a_cluster_by_kubeconfig() -> None:
    found = parse(
        "cluster: {kind: kubernetes, kubernetes: {kubeconfig: a/b, cluster: site-1, stale_s: 20}}"
    ).cluster
    assert found.kind == "kubernetes"
    assert (str(found.kubernetes.kubeconfig), found.kubernetes.cluster, found.kubernetes.stale_s) == (
        "a/b",
        "site-1",
        20,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cluster: {kind: kubernets}", "cluster.kind: expected 'memory' or 'kubernetes'; found 'kubernets'"),
        (
            "cluster: {kubernetes: {stale_s: 1}}",
            "cluster.kubernetes.stale_s: expected greater than or equal to 10",
        ),
        ("cluster: {kubernetes: {qps: 0}}", "cluster.kubernetes.qps: expected greater than 0"),
        ("cluster: {kubernetes: {timeout_s: 7}}", "timeout_s below lease_s − renew_s"),
        ("cluster: {kubernetes: {kubeconf: x}}", "did you mean 'kubeconfig'?"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert said in str(caught.value)


def test_without_the_extra_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install 'edgeobs\[kube\]'"):
        parse("cluster: {kind: kubernetes}")
    assert parse("cluster: {kind: memory}").cluster.kind == "memory"
