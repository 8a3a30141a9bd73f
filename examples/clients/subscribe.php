<?php
// Subscribes an endpoint and sends it a test event.
require __DIR__ . '/vendor/autoload.php';

use Postrider\Api\SubscriptionsApi;
use Postrider\ApiException;
use Postrider\Configuration;
use Postrider\Model\NewSubscriber;
use Postrider\Model\NewSubscriberContact;
use Postrider\Model\NewSubscription;

$api = new SubscriptionsApi(config: (new Configuration())
    ->setHost(getenv('POSTRIDER_URL'))
    ->setApiKey('X-PIM-URL', getenv('POSTRIDER_PIM_URL'))
    ->setApiKey('X-PIM-CLIENT-ID', getenv('POSTRIDER_CLIENT_ID'))
    ->setApiKey('X-PIM-TOKEN', getenv('POSTRIDER_TOKEN')));

try {
    $subscriber = $api->createSubscriber(new NewSubscriber([
        'name' => 'My app',
        'contact' => new NewSubscriberContact(['technicalEmail' => 'dev@example.com']),
    ]));
    $subscription = $api->createSubscription($subscriber->getId(), new NewSubscription([
        'type' => 'https',
        'events' => ['com.akeneo.pim.v1.product.created'],
        'config' => ['url' => getenv('ENDPOINT'), 'secret' => ['primary' => getenv('SECRET')]],
    ]));
    $outcome = $api->sendTestEvent($subscriber->getId(), $subscription->getId());
    echo "{$outcome->getEventId()} {$outcome->getEventType()} {$outcome->getOutcome()}\n";
} catch (ApiException $exception) {
    foreach (json_decode((string) $exception->getResponseBody())->errors ?? [] as $fault) {
        fwrite(STDERR, "{$fault->field}: {$fault->message}\n");
    }
    throw $exception;
}
