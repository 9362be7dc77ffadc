"""What is kept of Beam's work is what Beam would find, and it is worked out once."""

import inspect

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions, TypeOptions

from ragline.components.runtime import beam_memo


class Doubles(beam.DoFn):
    """Doubles each element."""

    def process(self, element: int, factor: int = 2, at=beam.DoFn.TimestampParam):
        yield factor * element


@pytest.fixture
def signature_of():
    calls = []

    def read(function):
        calls.append(function)
        return inspect.signature(function)

    return beam_memo.keep_signatures(read), calls


def test_a_method_is_read_once_for_all_instances_and_as_python_reads_it(signature_of):
    kept, calls = signature_of
    for instance in (Doubles(), Doubles()):
        assert kept(instance.process) == inspect.signature(Doubles().process)
    assert len(calls) == 1


def test_what_is_no_method_is_read_each_time(signature_of):
    kept, calls = signature_of
    for function in (len, Doubles.process, Doubles, lambda x: x):
        assert kept(function) == inspect.signature(function)
        assert kept(function) == inspect.signature(function)
    assert len(calls) == 8


def test_methods_of_one_name_are_not_confused(signature_of):
    kept, _ = signature_of

    class Halves(beam.DoFn):
        def process(self, element: int):
            yield element / 2

    assert kept(Doubles().process) != kept(Halves().process)


def test_the_view_of_type_options_is_made_once_and_shares_the_values():
    views = []

    def view_as(options, cls):
        views.append(cls)
        return PipelineOptions.view_as.__wrapped__(options, cls)

    beam_memo.install()
    kept = beam_memo.keep_type_options(view_as)
    options, others = PipelineOptions(["--runtime_type_check"]), PipelineOptions([])
    assert kept(options, TypeOptions).runtime_type_check
    assert not kept(others, TypeOptions).runtime_type_check
    options.view_as(TypeOptions).runtime_type_check = False
    assert not kept(options, TypeOptions).runtime_type_check
    assert views == [TypeOptions, TypeOptions]
