"""Which tests `make test` leaves to `make test-full`, and that there is none that neither runs."""

import re

import pytest
from commands import ROOT
from profiles import COLLECTED

# Whole functions; of those with a `[...]`, these cases alone.
FULL_ALONE = {
    "end_to_end/test_events.py": {
        "test_the_events_become_a_blessed_encoder": 1,
        "test_words_are_scored_beside_the_numbers_and_better_than_by_their_shares": 1,
        "test_the_served_encoder_takes_words_and_states_them": 1,
    },
    "end_to_end/test_later_runs.py": {
        "test_a_run_of_another_option_takes_what_it_does_not_touch_from_the_cache": 1,
    },
    "end_to_end/test_plug_ins.py": {
        "test_a_run_takes_them_all": 1,
    },
    "end_to_end/test_records_in_store.py": {
        "test_a_run_is_that_of_a_disk_and_keeps_no_record_there": 1,
    },
    "end_to_end/test_tune.py": {
        "test_a_run_searches_once_and_trains_with_what_was_best": 1,
    },
    "end_to_end/test_vowels.py": {
        "test_compare_tells_the_strategies_apart": 1,
    },
    "engines/test_engines.py": {
        "test_the_direct_runner_does_all": 1,
        "test_a_part_gives_the_same_records": 3,
        "test_a_whole_run_counts_and_trains_on_the_same_records": 3,
    },
    "engines/test_plug_ins_on_engines.py": {
        "test_a_format_reaches_a_pool_of_workers_that_have_its_package": 1,
        "test_a_metric_is_computed_on_worker_processes": 1,
    },
    "evaluate/test_outliers.py": {
        "test_a_candidate_trained_with_outliers_is_refused_though_its_error_is_lower": 1,
        "test_the_good_model_is_blessed_over_the_candidate": 1,
    },
    "faults/test_cache.py": {
        "test_a_model_that_is_damaged_is_exported_anew_from_its_checkpoint": 1,
    },
    "faults/test_cut_off.py": {
        "test_encode": 1,
    },
    "faults/test_kills.py": {
        "test_the_next_run_ends_as_an_undisturbed_one": 19,
    },
    "faults/test_machine.py": {
        "test_a_disk_that_fills_up_stops_the_run_and_the_next_one_works": 2,
        "test_a_folder_that_becomes_read_only_stops_the_push_and_the_next_run_works": 1,
        "test_a_worker_that_is_killed_stops_the_run_and_the_next_one_works": 2,
        "test_a_check_that_is_killed_pushes_nothing_and_the_next_run_works": 1,
        "test_memory_that_runs_out_is_told_and_a_smaller_model_works": 2,
        "test_a_database_that_is_lost_is_made_anew_and_what_is_served_stays": 2,
    },
    "faults/test_workers.py": {
        "test_the_next_run_goes_on_and_the_other_machine_joins_it": 1,
    },
    "ingest/test_poison.py": {
        "test_what_becomes_of_it": 2,
        "test_a_million_steps_take_less_than_4_gib": 1,
    },
    "keras_behaviour/test_masked_loss.py": {
        "test_loss_is_a_sum_divided": 21,
        "test_targets_of_1e6_where_masked_change_nothing_and_nan_makes_all_nan": 2,
        "test_loss_depends_on_batch_size_and_order_and_weighted_metrics_do_not": 6,
        "test_weighted_metrics_depend_on_the_batches_too_once_these_differ_in_length": 2,
    },
    "pipeline/test_interrupts.py": {
        "test_a_signal_ends_a_process_and_all_that_it_started": 18,
    },
    "push/test_company.py": {
        "test_company_changes_no_answer": 7,
        "test_the_contract_holds_as_a_push_demands_it": 8,
        "test_onnx_gives_one_answer_too": 3,
    },
    "push/test_encoder_exports.py": {
        "test_it_passes_the_check_of_a_push_and_is_the_same_in_onnx": 1,
    },
    "push/test_hard_requests.py": {
        "test_a_request_takes_20_times_its_bytes_and_50_mb": 10,
    },
    "push/test_sandbox.py": {
        "test_a_model_that_wants_more_memory_than_a_check_has_gets_none": 1,
    },
    "push/test_transaction.py": {
        "test_cut_off_after_every_call_the_same_command_ends_as_if_nothing_had_been": 6,
        "test_cut_off_twice_the_recovery_itself_is_finished": 2,
    },
    "python/test_scikit_learn.py": {
        "test_scikit_learn_finds_an_estimator": 4,
    },
    "python/test_threads.py": {
        "test_two_fits_at_a_time_do_not_touch_each_other": 1,
    },
    "test_benchmarks.py": {
        "test_the_benchmark_of_encode_prints_a_row_for_each_side": 1,
        "test_the_benchmark_of_ingest_prints_a_row": 1,
        "test_the_benchmark_of_training_prints_a_row_whose_curves_coincide": 1,
        "test_the_benchmark_of_gpus_checks_and_measures_on_a_cpu_as_it_would_on_a_gpu": 1,
        "test_without_a_gpu_the_benchmark_of_gpus_ends_with_a_sentence": 1,
    },
    "test_browser.py": {
        "test_the_pictures_of_the_pages_are_taken_from_a_run": 1,
    },
    "test_first_run.py": {
        "test_a_first_try_ends_in_a_pushed_encoder": 11,
        "test_a_reported_case_ends_in_a_pushed_encoder_or_a_sentence": 19,
    },
    "test_names.py": {
        "test_an_encoder_of_nasty_names_is_made_and_asked_by_them": 1,
    },
    "test_notebook.py": {
        "test_an_interrupt_ends_a_fit_and_leaves_the_kernel_usable": 1,
    },
    "train/test_averages_and_errors.py": {
        "test_the_loss_equals_the_oracle_in_batches_of_any_size": 3,
        "test_the_trainer_reports_that_loss": 2,
    },
    "train/test_averaging.py": {
        "test_an_average_is_numpys_of_every_update": 1,
    },
    "train/test_categories.py": {
        "test_what_is_reported_equals_the_oracle": 5,
        "test_an_update_depends_only_on_the_sequences": 2,
    },
    "train/test_cells.py": {
        "test_code_and_outputs_equal_the_oracle_whatever_the_padding": 16,
        "test_gradient_of_the_padding_is_exactly_zero_and_all_are_finite": 48,
        "test_dropout_is_the_same_draw_with_more_padding_and_none_when_not_training": 3,
    },
    "train/test_encoders.py": {
        "test_neither_padding_nor_company_changes_an_answer": 2,
        "test_the_loop_trains_it": 1,
    },
    "train/test_exactness.py": {
        "test_an_update_depends_only_on_the_sequences": 3,
    },
    "train/test_linear_path.py": {
        "test_training_starts_at_the_error_of_the_components": 2,
        "test_the_same_seed_starts_the_same_and_another_turns_the_code": 1,
        "test_the_recurrence_learns_what_is_left_over": 1,
        "test_a_training_that_only_gets_worse_keeps_its_start": 1,
    },
    "train/test_multiworker.py": {
        "test_the_training_stops_early_and_every_gradient_is_clipped": 1,
        "test_two_devices_train_as_one": 1,
        "test_a_mean_of_two_means_does_not": 1,
        "test_two_workers_train_as_one_device_though_one_is_killed": 1,
    },
    "train/test_replicas.py": {
        "test_a_mean_a_replica_averaged_is_another_update": 1,
    },
    "train/test_sequence_statistics.py": {
        "test_training_tells_them_better_and_no_epoch_is_chosen_by_it": 1,
    },
    "train/test_slices.py": {
        "test_an_interrupted_training_goes_on_with_the_slices_of_its_update": 1,
        "test_training_brings_the_slices_of_a_sequence_together": 1,
    },
    "train/test_tuner.py": {
        "test_another_search_finds_the_same": 1,
    },
    "transform/test_vocabulary.py": {
        "test_codes_begin_at_0_by_frequency_and_missing_words_have_none": 1,
        "test_words_that_training_has_not_seen_share_one_code": 1,
        "test_the_graph_codes_raw_examples_alike": 1,
    },
}


@pytest.fixture
def collected(request) -> list[pytest.Item]:
    """Every test, those among them that this session leaves out."""
    items = request.config.stash[COLLECTED]
    files = {item.path for item in items}
    if not files >= {ROOT / "tests" / name for name in FULL_ALONE}:
        pytest.skip("a part of the tests was asked for")
    return items


def test_what_is_left_to_the_full_profile_is_that_and_no_more(collected):
    left: dict[str, dict[str, int]] = {}
    for item in collected:
        if item.get_closest_marker("full"):
            of_file = left.setdefault(str(item.path.relative_to(ROOT / "tests")), {})
            name = item.originalname
            of_file[name] = of_file.get(name, 0) + 1
    assert left == FULL_ALONE


def test_every_test_of_every_file_is_in_a_profile(collected):
    names = {(item.path, item.originalname) for item in collected}
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        text = file.read_text(encoding="utf-8")
        defined = re.findall(r"^def (test_\w+)", text, re.MULTILINE)
        assert defined, f"{file} defines none"
        assert {(file, name) for name in defined} <= names


def test_no_profile_filters_by_itself():
    """Both run what there is; the marker is taken out by conftest.py alone."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    [shared] = re.findall(r"^PYTEST := .* pytest (.*)$", makefile, re.MULTILINE)
    assert shared == "-n 2 --max-worker-restart 0 --dist loadgroup --no-loadscope-reorder"
    recipes = re.findall(r"^(test|test-full): install\n\t(.*)$", makefile, re.MULTILINE)
    assert recipes == [
        ("test", "$(PYTEST)"),
        ("test-full", "RAGLINE_TESTS=full $(PYTEST) --durations=20"),
    ]


def test_tests_of_one_group_go_to_one_worker(request):
    """xdist names a test's group in its id; where it does not, it keeps no group together."""
    if hasattr(request.config, "workerinput"):
        assert request.node.nodeid.endswith("@test_profiles.py")
