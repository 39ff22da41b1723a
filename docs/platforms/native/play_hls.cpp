// Plays a room of StreamHub by HLS and says what it sees and hears, until Ctrl-C or for so many pictures.
//
//   g++ -std=c++17 -O2 play_hls.cpp -o play_hls $(pkg-config --cflags --libs libavformat libavcodec libavutil)
//   ./play_hls http://127.0.0.1:3020/hls/live/<room>/index.m3u8 [pictures]
//
// Each decoded picture passes through see(), each piece of sound through hear().

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
}

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace {

volatile std::sig_atomic_t stopping = 0;

int check(int result, const char* what) {
    if (result >= 0) return result;
    char words[AV_ERROR_MAX_STRING_SIZE];
    av_strerror(result, words, sizeof words);
    throw std::runtime_error(std::string(what) + ": " + words);
}

// A number that differs between two pictures.
unsigned long fingerprint(const AVFrame* frame) {
    unsigned long sum = 5381;
    for (int y = 0; y < frame->height; y += 4)
        for (int x = 0; x < frame->width; x += 4) sum = sum * 33 + frame->data[0][y * frame->linesize[0] + x];
    return sum;
}

void see(const AVFrame* frame, double seconds, long number) {
    std::printf("picture %ld %dx%d at %.3f s: %08lx\n", number, frame->width, frame->height, seconds, fingerprint(frame) & 0xffffffff);
}

void hear(const AVFrame* frame, long number) {
    if (number == 1) std::printf("sound %d Hz, %d channels\n", frame->sample_rate, frame->ch_layout.nb_channels);
}

AVCodecContext* open_decoder(const AVStream* stream) {
    const AVCodec* codec = avcodec_find_decoder(stream->codecpar->codec_id);
    if (!codec) return nullptr;  // a codec that this libav was built without: the rest may do
    AVCodecContext* decoder = avcodec_alloc_context3(codec);
    check(avcodec_parameters_to_context(decoder, stream->codecpar), codec->name);
    check(avcodec_open2(decoder, codec, nullptr), codec->name);
    return decoder;
}

// Ctrl-C also ends a read that waits for the network.
int interrupted(void*) { return stopping; }

void play(const char* url, long most) {
    AVFormatContext* input = avformat_alloc_context();
    input->interrupt_callback = {interrupted, nullptr};
    AVDictionary* options = nullptr;
    av_dict_set(&options, "rw_timeout", "20000000", 0);  // µs; a cold list is held for up to ten seconds
    av_dict_set(&options, "live_start_index", "-3", 0);  // three segments behind the newest: little delay, no stutter
    const int opened = avformat_open_input(&input, url, nullptr, &options);
    av_dict_free(&options);
    check(opened, "cannot open it (is the source live, the token good?)");
    check(avformat_find_stream_info(input, nullptr), "nothing to be understood");

    const int kinds[] = {av_find_best_stream(input, AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0),
                         av_find_best_stream(input, AVMEDIA_TYPE_AUDIO, -1, -1, nullptr, 0)};
    AVCodecContext* decoders[2] = {nullptr, nullptr};
    for (int n = 0; n < 2; ++n)
        if (kinds[n] >= 0) decoders[n] = open_decoder(input->streams[kinds[n]]);
    if (!decoders[0] && !decoders[1]) throw std::runtime_error("neither video nor audio that can be decoded");

    AVPacket* packet = av_packet_alloc();
    AVFrame* frame = av_frame_alloc();
    long counts[2] = {0, 0};
    while (!stopping && (most == 0 || counts[0] < most)) {
        const int read = av_read_frame(input, packet);
        if (read == AVERROR_EOF || read == AVERROR_EXIT) break;
        check(read, "the stream ended");
        for (int n = 0; n < 2; ++n) {
            if (packet->stream_index != kinds[n] || !decoders[n]) continue;
            if (avcodec_send_packet(decoders[n], packet) < 0) continue;  // damaged; the next ones may not be
            while (avcodec_receive_frame(decoders[n], frame) >= 0) {
                counts[n] += 1;
                const double at = double(frame->best_effort_timestamp) * av_q2d(input->streams[kinds[n]]->time_base);
                if (n == 0)
                    see(frame, at, counts[0]);
                else
                    hear(frame, counts[1]);
            }
        }
        std::fflush(stdout);
        av_packet_unref(packet);
    }

    av_frame_free(&frame);
    av_packet_free(&packet);
    for (AVCodecContext*& decoder : decoders) avcodec_free_context(&decoder);
    avformat_close_input(&input);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2 || argc > 3) {
        std::fprintf(stderr, "usage: %s http://HOST:3020/hls/APP/ROOM/index.m3u8 [PICTURES]\n", argv[0]);
        return 2;
    }
    std::signal(SIGINT, [](int) { stopping = 1; });
    std::signal(SIGTERM, [](int) { stopping = 1; });
    av_log_set_level(AV_LOG_ERROR);
    try {
        play(argv[1], argc == 3 ? std::strtol(argv[2], nullptr, 10) : 0);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}
