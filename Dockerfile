# Serves models/classifier.keras: docker build -t classifier . && docker run -p 8643:8643 classifier
FROM python:3.12-slim
COPY pyproject.toml README.md LICENSE /source/
COPY fewlabel /source/fewlabel
RUN pip install --no-cache-dir '/source[cpu,onnx,serve]'
COPY models/classifier.keras /
USER nobody
EXPOSE 8643
CMD ["fewlabel", "serve", "/classifier.keras", "--host", "0.0.0.0"]
