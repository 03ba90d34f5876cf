<?php
// Sends the HTTP calls of PHP's streams through the proxy that http_proxy names. The curl extension does that by itself.
$softprobe = getenv('http_proxy');
if ($softprobe) {
    $softprobe = 'tcp://' . preg_replace('~^\w+://|/+$~', '', $softprobe);
    stream_context_set_default(['http' => ['proxy' => $softprobe, 'request_fulluri' => true]]);
}
// A file that another setting would have prepended still is.
$softprobe = null;
foreach (explode(',', php_ini_loaded_file() . ',' . php_ini_scanned_files()) as $softprobe_ini) {
    $softprobe_ini = trim($softprobe_ini);
    $softprobe_ini = $softprobe_ini === '' ? [] : @parse_ini_file($softprobe_ini, false, INI_SCANNER_NORMAL);
    if (!in_array($softprobe_ini['auto_prepend_file'] ?? '', ['', getenv('SOFTPROBE_PHP')], true)) {
        $softprobe = $softprobe_ini['auto_prepend_file'];
    }
}
unset($softprobe_ini);
if ($softprobe) {
    require $softprobe;
}
unset($softprobe);
