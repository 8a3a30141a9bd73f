<?php
// A receiver that verifies signatures: SECRET=… php -S 127.0.0.1:4000 receiver.php

$secret = (string) getenv('SECRET');
if ($secret === '') { // Anyone can sign with an empty key.
    error_log('SECRET is not set');
    http_response_code(500);
    return;
}
$tolerance = (int) getenv('TOLERANCE'); // seconds; 0: accept replays

// One of the two signatures must match our secret; $body holds the raw bytes.
function is_genuine(string $body, string $secret): bool
{
    $expected = hash_hmac('sha256', $body, $secret);
    // hash_equals compares in constant time.
    return hash_equals($expected, $_SERVER['HTTP_X_AKENEO_SIGNATURE_PRIMARY'] ?? '')
        || hash_equals($expected, $_SERVER['HTTP_X_AKENEO_SIGNATURE_SECONDARY'] ?? '');
}

// Standard Webhooks: the signature also covers the time of the attempt, so replays can be detected.
function is_fresh(string $body, string $secret, int $tolerance): bool
{
    $id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
    $timestamp = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
    if (!ctype_digit($timestamp) || abs(time() - (int) $timestamp) > $tolerance) {
        return false;
    }
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $secret, true));
    foreach (explode(' ', $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '') as $signature) {
        if (hash_equals($expected, $signature)) {
            return true;
        }
    }
    return false;
}

$body = file_get_contents('php://input', length: 2 << 20); // an event has at most 1 MiB
if (!is_genuine($body, $secret) || ($tolerance > 0 && !is_fresh($body, $secret, $tolerance))) {
    http_response_code(401);
    return;
}
$event = json_decode($body, flags: JSON_THROW_ON_ERROR); // Only now. Queue it, answer, and process it afterwards.
error_log("$event->type $event->id");
http_response_code(204);
