"""What several answers a case show, by itself; in sets with other ways it is in ``test_set_power.py``."""

import pytest

from harness.studies.repeated_power import detectable_repeated, repeated_clusters, repeated_pass


def test_a_single_case_is_found_but_a_cluster_of_a_tenth_is_not():
    clusters = [[5] * 6] * 10
    assert detectable_repeated(clusters, 0.05, 0.02, 0.05, singly=True) == pytest.approx(1 / 60)
    everywhere = detectable_repeated(clusters, 0.05, 0.02, 0.05, singly=False)
    assert 1 / 60 < everywhere < 0.1 < repeated_clusters(clusters, 0.05, 0.02, 0.05) < 0.6
    assert repeated_clusters([[5]] * 60, 0.05, 0.02, 0.05) is None
    assert repeated_clusters([[5] * 20] * 3, 0.05, 0.02, 0.05) is None


def test_more_clusters_pass_more_often():
    assert repeated_pass([[5] * 4] * 10, 0.05, 0.02) < repeated_pass([[5] * 4] * 100, 0.05, 0.02)
