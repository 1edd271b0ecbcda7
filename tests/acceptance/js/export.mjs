// Sends all three signals through the JavaScript SDK's own exporters, as an application does, and prints what it sent as one JSON line.
// Usage: node export.mjs ENDPOINT proto|http MARK
import { createRequire } from "node:module";

// The packages are in a cache folder beside a copy of this file's package.json; ES modules know no NODE_PATH.
const require = createRequire(`${process.cwd()}/package.json`);
const { DiagLogLevel, SpanKind, SpanStatusCode, context, diag, trace } = require("@opentelemetry/api");
const { SeverityNumber } = require("@opentelemetry/api-logs");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { BasicTracerProvider, BatchSpanProcessor } = require("@opentelemetry/sdk-trace-base");
const { AggregationType, MeterProvider, PeriodicExportingMetricReader } = require("@opentelemetry/sdk-metrics");
const { BatchLogRecordProcessor, LoggerProvider } = require("@opentelemetry/sdk-logs");

const [endpoint, flavour, mark] = process.argv.slice(2);
const complaints = [];
const note = (...words) => complaints.push(words.map(String).join(" "));
diag.setLogger({ error: note, warn: note, info() {}, debug() {}, verbose() {} }, DiagLogLevel.ALL);

const exporter = (signal, name) => new (require(`@opentelemetry/exporter-${signal}-otlp-${flavour}`)[name])(
  { url: `${endpoint}/v1/${{ trace: "traces", metrics: "metrics", logs: "logs" }[signal]}` });
const resource = resourceFromAttributes({
  "service.name": `js-${mark}`, "service.namespace": "acceptance", "service.version": "1.0", "deployment.environment.name": "test",
});

const tracers = new BasicTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(exporter("trace", "OTLPTraceExporter"))] });
const attributes = {
  string: "Grüße 👋", nul: "a\u0000b", empty: "", yes: true, no: false, int: 42, negative: -7, large: 2 ** 53 - 1, float: 0.1, tiny: 1e-300, huge: 1e300,
  strings: ["a", "", "c"], ints: [1, 2], floats: [0.5, 1.5], booleans: [true, false], none: [],
};
const tracer = tracers.getTracer("acceptance", "2.0", { schemaUrl: "https://opentelemetry.io/schemas/1.37.0" });
const start = [Math.floor(Date.now() / 1000) - 2, 123456789];
const root = tracer.startSpan(`root ${mark}`, { kind: SpanKind.SERVER, attributes, startTime: start });
const within = trace.setSpan(context.active(), root);
const child = tracer.startSpan(
  `child ${mark}`, { kind: SpanKind.CLIENT, startTime: start, links: [{ context: root.spanContext(), attributes: { why: "test" } }] }, within);
child.addEvent("happened", { detail: "x" }, [start[0], 200000000]);
child.setStatus({ code: SpanStatusCode.ERROR, message: "it failed" });
child.end([start[0], 987654321]);
root.end([start[0] + 1, 1]);

const meters = new MeterProvider({
  resource,
  readers: [new PeriodicExportingMetricReader({ exporter: exporter("metrics", "OTLPMetricExporter"), exportIntervalMillis: 3600000 })],
  views: [{ instrumentName: "js.exponential", aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }],
});
const meter = meters.getMeter("acceptance", "2.0");
meter.createCounter("js.requests", { unit: "{request}", description: "Requests." }).add(5, { route: "/a", mark });
meter.createUpDownCounter("js.active").add(-2, { mark });
meter.createGauge("js.temperature", { unit: "Cel" }).record(21.5, { room: "kitchen", mark });
meter.createHistogram("js.duration", { unit: "s", advice: { explicitBucketBoundaries: [0.1, 1] } }).record(0.25, { mark });
meter.createHistogram("js.exponential", { unit: "By" }).record(1000, { mark });

const loggers = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter: exporter("logs", "OTLPLogExporter") })] });
const logger = loggers.getLogger("acceptance", "2.0");
logger.emit({
  context: within, severityNumber: SeverityNumber.WARN, severityText: "WARN", body: `log ${mark}`, timestamp: start, attributes: { key: "value", n: 3 },
});
logger.emit({ context: within, severityNumber: SeverityNumber.INFO, body: { structured: [1, "two"], mark }, eventName: "acceptance.event" });

for (const provider of [tracers, meters, loggers]) {
  await provider.forceFlush();
  await provider.shutdown();
}
console.log(JSON.stringify({ traceId: root.spanContext().traceId, rootId: root.spanContext().spanId, start, attributes, complaints }));
