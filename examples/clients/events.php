<?php
// Lists the events of the last day, page by page.
require __DIR__ . '/vendor/autoload.php';

use Postrider\Api\SubscriptionsApi;
use Postrider\Configuration;

$api = new SubscriptionsApi(config: (new Configuration())
    ->setHost(getenv('POSTRIDER_URL'))
    ->setApiKey('X-PIM-URL', getenv('POSTRIDER_PIM_URL'))
    ->setApiKey('X-PIM-CLIENT-ID', getenv('POSTRIDER_CLIENT_ID'))
    ->setApiKey('X-PIM-TOKEN', getenv('POSTRIDER_TOKEN')));

$cursor = null;
do {
    $page = $api->listEvents(limit: 2, cursor: $cursor);
    foreach ($page->getItems() as $event) {
        $accepted = $event->getAcceptedAt()->format(DateTimeInterface::RFC3339_EXTENDED);
        echo "{$event->getId()} {$event->getType()} {$accepted}\n";
    }
    $cursor = $page->getNext();
} while ($cursor !== null);
