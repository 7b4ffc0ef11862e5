"""Keeps the page small: how long the texts of its cases may be, so that their compressed data fits."""

from dataclasses import replace
from itertools import islice

from harness.types import GateRecord
from reports.earlier_runs import EarlierRuns
from reports.html.case_data import PART, packed_details, packed_index
from reports.html.case_view import CaseView, listed
from reports.html.cases import case_views, text_limit
from reports.html.groups import case_list, longest_text
from reports.html.view import CaseList

# Characters of all cases' data in the page, by their number. Texts that compress badly are cut further.
_LEAST_DATA, _DATA_PER_CASE, _MOST_DATA = 1_600_000, 800, 9_300_000
_LEAST_LIMIT, _ROOM = 100, 0.9
_SAMPLE = 400  # cases by which the compression is estimated
_MANY = 2_000  # of fewer cases, whose texts fit nearly always, an estimate takes too long


def fitting_cases(record: GateRecord, earlier: EarlierRuns) -> tuple[CaseList, list[str]]:
    """The cases of the page and their data, with texts as long as fit.

    Args:
        record: The gate's record.
        earlier: What the run is shown beside.

    Returns:
        The cases, and their compressed data: the index, then the details of each 250 cases.
    """
    results = record.run.results
    most = min(_LEAST_DATA + _DATA_PER_CASE * max(len(results) - 1_000, 0), _MOST_DATA)
    limit = text_limit(record)
    step = len(results) // _SAMPLE
    if len(results) >= _MANY:
        # Every few cases first: all of them take long to compare word by word.
        some = replace(record, run=replace(record.run, results=results[::step]))
        limit = _fitted(some, earlier, limit, most / step)[0].limit
    return _fitted(record, earlier, limit, most)


def _fitted(record: GateRecord, earlier: EarlierRuns, limit: int, most: float) -> tuple[CaseList, list[str]]:
    cases, data = _built(record, earlier, limit)
    while (size := sum(map(len, data))) > most and limit > _LEAST_LIMIT:
        limit = max(int(min(limit, cases.longest) * most / size * _ROOM), _LEAST_LIMIT)
        cases, data = _built(record, earlier, limit)
    return cases, data


def _built(record: GateRecord, earlier: EarlierRuns, limit: int) -> tuple[CaseList, list[str]]:
    """The cases and their compressed data; of many, only what the list shows is kept in memory.

    Args:
        record: The gate's record.
        earlier: What the run is shown beside.
        limit: Most characters of one text.
    """
    is_large = len(record.run.results) >= _MANY
    views, parts, longest = list[CaseView](), list[str](), 0
    left = case_views(record, limit, earlier)
    while part := list(islice(left, PART)):
        parts.append(packed_details(part))
        longest = max(longest, *map(longest_text, part))
        views += map(listed, part) if is_large else part
    cases = case_list(record, views, limit, longest)
    return cases, [packed_index(cases), *parts]
