"""Stage 4: train and export the masked LSTM autoencoder.

data/          transformed records -> padded batches
model/         encoder, decoder, the fast LSTM, the linear path
objective/     the loss, and every error sum
padding/       the strategies, and what padding did to a training
loop/          updates, epochs, checkpoints, several processes
export/        the SavedModel, golden inputs, samples of reconstructions
tuning/        the search for hyperparameters
options.py     what may be configured of training
run_fn.py      what TFX's Trainer calls, by its dotted name
tuner_fn.py    what TFX's Tuner calls, by its dotted name
"""
