"""Softmax regression of topic counts, started from all-zero weights."""

import torch
from torch import nn

torch.manual_seed(48)

N_TOPICS, N_WORDS = 4, 30
topic_words = torch.softmax(0.5 * torch.randn(N_TOPICS, N_WORDS), dim=1)


def documents(n, words=40):
    topic = torch.randint(0, N_TOPICS, (n,))
    drawn = torch.multinomial(topic_words[topic], words, replacement=True)
    counts = nn.functional.one_hot(drawn, N_WORDS).sum(1).float()
    return counts.sqrt(), topic


x, y = documents(1000)
x_test, y_test = documents(500)
softmax_regression = nn.Linear(N_WORDS, N_TOPICS)
nn.init.zeros_(softmax_regression.weight)
nn.init.zeros_(softmax_regression.bias)
optimizer = torch.optim.SGD(softmax_regression.parameters(), lr=0.05)
loss_function = nn.CrossEntropyLoss()

for epoch in range(20):
    mean = 0.0
    for rows in torch.randperm(1000).split(25):
        optimizer.zero_grad(set_to_none=False)
        loss = loss_function(softmax_regression(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        mean += loss.item() / 40
    if epoch % 4 == 3:
        with torch.no_grad():
            accuracy = softmax_regression(x_test).argmax(1).eq(y_test).float().mean().item()
        print(f"epoch {epoch + 1}: {mean:.4f}, test accuracy {accuracy:.3f}")
