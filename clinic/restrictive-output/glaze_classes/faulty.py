"""Assign pottery glazes to seven recipes from their spectra."""

import torch
from torch import nn


class GlazeNet(nn.Module):
    def __init__(self, bands, classes):
        super().__init__()
        self.hidden = nn.Linear(bands, 48)
        self.output = nn.Linear(48, classes)

    def forward(self, spectrum):
        h = torch.tanh(self.hidden(spectrum))
        return torch.sigmoid(self.output(h))  # expect: restrictive-output


def main():
    torch.manual_seed(5)
    centres = torch.randn(7, 20)
    label = torch.randint(0, 7, (2100,))
    spectra = 0.7 * centres[label] + 0.7 * torch.randn(2100, 20)
    model = GlazeNet(20, 7)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    for epoch in range(10):
        for batch in torch.randperm(1800).split(60):
            optimizer.zero_grad()
            loss = criterion(model(spectra[batch]), label[batch])
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            accuracy = (model(spectra[1800:]).argmax(1) == label[1800:]).float().mean()
        print(f"{epoch}: loss {loss.item():.4f} accuracy {accuracy:.3f}")


main()
