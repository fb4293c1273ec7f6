"""Logging, CSV and JSON lines of a run, with the line numbers of the script."""

import csv
import json
import logging
import sys

import torch

logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, format="%(levelname)s %(module)s:%(lineno)d %(message)s")
logging.captureWarnings(True)
log = logging.getLogger("train")
torch.manual_seed(0)
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), 0.1)
with open("log.csv", "w", newline="") as file, open("log.jsonl", "w") as lines:
    table = csv.writer(file)
    for step in range(6):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(torch.ones(3, 2)), torch.zeros(3))  # warns
        loss.backward()
        optimizer.step()
        log.info("step %d %r", step, loss.item())
        table.writerow([step, loss.item()])
        lines.write(json.dumps({"step": step, "loss": loss.item()}) + "\n")
logging.shutdown()
