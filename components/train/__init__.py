"""Train and export the masked autoencoder.

data/          transformed records -> padded batches
encoders/      what reads a sequence: `lstm`, `gru`, `tcn`, `transformer`
decoders/      what writes one from its embedding
model/         both together, the fast LSTM, the linear path
terms/         the objective: the reconstruction, each head, each category, further terms
errors/        the error of a value in the loss: `squared`, `absolute`, `huber`, `log_cosh`
objective/     the loss, and every error sum
padding/       the strategies, and what padding did to a training
loop/          updates, epochs, checkpoints, several processes
export/        the SavedModel, golden inputs, samples of reconstructions
tuning/        the search for hyperparameters
options.py     what may be configured of training
run_fn.py      what TFX's Trainer calls, by its dotted name
tuner_fn.py    what TFX's Tuner calls, by its dotted name
"""
