# The bundles that workers copy at their start, in an image whose layers, but for the last, every node with a worker has.
# Needs the images of `export` and of the workers, and the network that `export` fetches from:
# docker build -t image-classifier-models:0.2.0 - < deploy/kubernetes/models.Dockerfile
FROM image-classifier-export:0.2.0 AS made
ARG MODEL_NAMES=resnet50
RUN MODEL_NAMES=$MODEL_NAMES python -m model.export

FROM image-classifier-model:0.2.0
COPY --from=made --chown=10001:10001 /app/models /bundles
HEALTHCHECK NONE
CMD ["ls", "/bundles"]
