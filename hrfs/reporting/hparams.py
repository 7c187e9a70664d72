"""What TensorBoard's HParams tab wants to know, without a run directory of its own.

One ``experiment`` message names the columns; each trial's run begins with a session start
(its first hyperparameters) and ends with a session end (how it went). The metrics shown are the
last values of the trial's own curves: the score, and the hyperparameters as they were at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tensorboard.compat.proto import summary_pb2
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import (
    HParamsPluginData,
    SessionEndInfo,
    SessionStartInfo,
)

from hrfs.reporting.cells import encode_value, plain


def experiment(
    description: str, hyperparameters: Mapping[str, Any], metrics: list[str], created_s: float
) -> summary_pb2.Summary.Value:
    """Names the columns. ``created_s`` is in seconds since the epoch."""
    message = api_pb2.Experiment(
        description=description,
        time_created_secs=created_s,
        hparam_infos=[
            api_pb2.HParamInfo(name=name, type=_data_type(value))
            for name, value in hyperparameters.items()
        ],
        metric_infos=[_column(tag, tag) for tag in metrics]
        + [_column(name, f"{name} (last)") for name in hyperparameters if name not in metrics],
    )
    return _value(metadata.EXPERIMENT_TAG, HParamsPluginData(experiment=message))


def _column(tag: str, title: str) -> api_pb2.MetricInfo:
    name = api_pb2.MetricName(group="", tag=tag)
    return api_pb2.MetricInfo(name=name, display_name=title)


def session_start(
    group: str, hyperparameters: Mapping[str, Any], start_s: float
) -> summary_pb2.Summary.Value:
    """The first hyperparameters of one trial. ``start_s`` is in seconds since the epoch."""
    message = SessionStartInfo(group_name=group, start_time_secs=start_s)
    for name, value in hyperparameters.items():
        value = plain(value)
        if isinstance(value, bool):
            message.hparams[name].bool_value = value
        elif isinstance(value, (int, float)):
            message.hparams[name].number_value = value
        else:
            message.hparams[name].string_value = encode_value(value)
    return _value(metadata.SESSION_START_INFO_TAG, HParamsPluginData(session_start_info=message))


def session_end(status: str, end_s: float) -> summary_pb2.Summary.Value:
    """How a trial went; ``status`` as in ``trials.csv``, ``end_s`` since the epoch."""
    codes = {
        "finished": api_pb2.STATUS_SUCCESS,
        "stopped": api_pb2.STATUS_SUCCESS,
        "error": api_pb2.STATUS_FAILURE,
        "unfinished": api_pb2.STATUS_UNKNOWN,
    }
    message = SessionEndInfo(status=codes[status], end_time_secs=end_s)
    return _value(metadata.SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=message))


def _data_type(value: Any) -> int:
    value = plain(value)
    if isinstance(value, bool):
        return int(api_pb2.DATA_TYPE_BOOL)
    if isinstance(value, (int, float)):
        return int(api_pb2.DATA_TYPE_FLOAT64)
    return int(api_pb2.DATA_TYPE_STRING)


def _value(tag: str, data: HParamsPluginData) -> summary_pb2.Summary.Value:
    return summary_pb2.Summary.Value(
        tag=tag,
        metadata=metadata.create_summary_metadata(data),
        tensor=metadata.NULL_TENSOR,
    )
