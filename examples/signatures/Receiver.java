// A receiver that verifies signatures: SECRET=… java Receiver.java
import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Map;
import java.util.concurrent.Executors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

public class Receiver {
    static final Map<String, String> ENV = System.getenv();
    static final byte[] SECRET = ENV.getOrDefault("SECRET", "").getBytes(UTF_8);
    static final long TOLERANCE = Long.parseLong(ENV.getOrDefault("TOLERANCE", "0")); // seconds; 0: accept replays
    static final int LARGEST = 2 << 20; // an event has at most 1 MiB

    static byte[] hmac(byte[]... parts) throws GeneralSecurityException {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(SECRET, "HmacSHA256"));
        for (byte[] part : parts) mac.update(part);
        return mac.doFinal();
    }

    // MessageDigest.isEqual compares in constant time.
    static boolean same(String sent, String expected) {
        return sent != null && MessageDigest.isEqual(sent.getBytes(UTF_8), expected.getBytes(UTF_8));
    }

    // One of the two signatures must match our secret; body holds the raw bytes.
    static boolean isGenuine(Headers headers, byte[] body) throws GeneralSecurityException {
        String expected = HexFormat.of().formatHex(hmac(body));
        return same(headers.getFirst("X-AKENEO-SIGNATURE-PRIMARY"), expected)
            || same(headers.getFirst("X-AKENEO-SIGNATURE-SECONDARY"), expected);
    }

    // Standard Webhooks: the signature also covers the time of the attempt, so replays can be detected.
    static boolean isFresh(Headers headers, byte[] body) throws GeneralSecurityException {
        String id = headers.getFirst("webhook-id");
        String timestamp = headers.getFirst("webhook-timestamp");
        String signatures = headers.getFirst("webhook-signature");
        if (signatures == null || timestamp == null || !timestamp.matches("[0-9]{1,18}")) return false;
        if (Math.abs(Instant.now().getEpochSecond() - Long.parseLong(timestamp)) > TOLERANCE) return false;
        byte[] signed = hmac((id + "." + timestamp + ".").getBytes(ISO_8859_1), body);
        String expected = "v1," + Base64.getEncoder().encodeToString(signed);
        for (String signature : signatures.split(" ")) {
            if (same(signature, expected)) return true;
        }
        return false;
    }

    static int receive(HttpExchange exchange) throws IOException, GeneralSecurityException {
        byte[] body = exchange.getRequestBody().readNBytes(LARGEST + 1);
        if (body.length > LARGEST) return 413;
        Headers headers = exchange.getRequestHeaders();
        if (!isGenuine(headers, body) || TOLERANCE > 0 && !isFresh(headers, body)) return 401;
        // Only now: parse the body, queue it, answer, and process it afterwards.
        System.out.println(headers.getFirst("webhook-id"));
        return 204;
    }

    public static void main(String[] arguments) throws IOException {
        if (SECRET.length == 0) throw new IllegalStateException("SECRET is not set"); // Anyone can sign with an empty key.
        int port = Integer.parseInt(ENV.getOrDefault("PORT", "4000"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.createContext("/", exchange -> {
            try (exchange) {
                exchange.sendResponseHeaders(receive(exchange), -1);
            } catch (GeneralSecurityException error) {
                throw new IOException(error);
            }
        });
        server.start();
    }
}
