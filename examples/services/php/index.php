<?php
// Tells how many of an item are left, by one call to a stock service. The first part of the path says by which client:
// /streams is file_get_contents, /curl is the curl extension. Run it with `php -S 127.0.0.1:$PORT -t .`.
[, $client, $item] = explode('/', $_SERVER['REQUEST_URI']) + [1 => '', 2 => ''];
$stock = (getenv('STOCK') ?: 'https://stock.example') . "/items/$item";

// What any OpenTelemetry instrumentation does: the trace headers of the request go onto the calls that it causes.
$traced = [];
foreach (['traceparent', 'tracestate'] as $name) {
    $value = $_SERVER['HTTP_' . strtoupper($name)] ?? null;
    if ($value !== null) {
        $traced[] = "$name: $value";
    }
}

if ($client === 'curl') {
    $call = curl_init($stock);
    curl_setopt_array($call, [CURLOPT_RETURNTRANSFER => true, CURLOPT_HTTPHEADER => $traced]);
    $found = curl_exec($call);
} else {
    // The default context is the one with the proxy, so the headers go into it.
    $options = stream_context_get_options(stream_context_get_default());
    $options['http']['header'] = $traced;
    $found = file_get_contents($stock, false, stream_context_create($options));
}
$found = json_decode((string) $found, true);
header('content-type: application/json');
if (!isset($found['left'])) {
    http_response_code(502);
    echo json_encode(['error' => 'no stock']);
    return;
}
echo json_encode(['item' => $item, 'left' => $found['left'] + (getenv('DEFECT') ? 1 : 0)]);
