import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(0)


def block(c_in, c_out):
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 3, padding=1),
        nn.BatchNorm2d(c_out, eps=1e-3, momentum=0.1),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )


class SmallCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(block(1, 8), block(8, 16), block(16, 32))
        self.fc = nn.Linear(32, 4)

    def forward(self, x):
        return self.fc(self.features(x).flatten(1))


labels = torch.randint(0, 4, (500,))
images = torch.randn(500, 1, 12, 12) * 0.3
for k in range(4):
    images[labels == k, :, 3 * k : 3 * k + 3] += 0.4
train, val = random_split(TensorDataset(images, labels), [400, 100])
loader, val_loader = DataLoader(train, batch_size=40, shuffle=True), DataLoader(val, batch_size=100)
model = SmallCNN()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
criterion = nn.CrossEntropyLoss()
for epoch in range(8):
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        for x, y in val_loader:
            out = model(x)
            print(epoch, loss.item(), criterion(out, y).item(), (out.argmax(1) == y).float().mean().item())
