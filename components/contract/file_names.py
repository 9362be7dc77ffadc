"""Name the files in artifacts, for readers that need nothing else of TFX."""

ACCOUNT_FILE = "account.json"
SOURCES_FILE = "sources.parquet"
GATE_FILE = "gate.json"
VERDICT_FILE = "verdict.json"
PUSH_FILE = "push.json"
TRAINING_FILE = "training.json"
TRIALS_FILE = "tuner_results.json"  # As TFX's Tuner names it.
SAMPLES_FILE = "reconstruction_samples.json"
LOGS_FOLDER = "logs"
UNTRAINED_FOLDER = "untrained"
BASELINES_FILE = "baselines.json"
