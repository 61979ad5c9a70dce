// The driver's graphs: launches that a stream captures, and their replay, one after the other.
#include <map>
#include <vector>

#include "driver.h"

namespace {

using Graph = std::vector<Launch>;

// By stream. A graph is the driver's until the capture ends.
std::map<void*, Graph*> captures;
std::set<void*> graphs, instances;

}  // namespace

bool is_capturing(void* stream) {
    Hold hold(lock);
    return captures.count(stream) != 0;
}

bool capture(void* stream, const Launch& launch) {
    Hold hold(lock);
    auto found = captures.find(stream);
    if (found == captures.end()) return false;
    found->second->push_back(launch);
    return true;
}

API cuStreamBeginCapture_v2(void* stream, int mode) {
    NEED_CONTEXT();
    NEED_STREAM(stream);
    if (mode < 0 || mode > 2) REFUSE(InvalidValue, "capture mode " + std::to_string(mode));
    if (reinterpret_cast<uintptr_t>(stream) <= 1) REFUSE(CaptureUnsupported, "the legacy default stream cannot capture");
    Hold hold(lock);
    captures[stream] = new Graph;
    return Success;
}
API cuStreamEndCapture(void* stream, void** graph) {
    Hold hold(lock);
    auto found = captures.find(stream);
    if (found == captures.end()) REFUSE(CaptureUnmatched, "the stream captures nothing");
    *graph = found->second;
    graphs.insert(found->second);
    captures.erase(found);
    return Success;
}
API cuStreamIsCapturing(void* stream, int* status) {
    if (!is_stream(stream)) REFUSE(InvalidHandle, "the stream does not exist, or was destroyed");
    *status = is_capturing(stream);
    return Success;
}

API cuGraphInstantiateWithFlags(void** instance, void* graph, unsigned long long flags) {
    NEED_CONTEXT();
    Hold hold(lock);
    if (!graphs.count(graph)) REFUSE(InvalidValue, "the graph does not exist, or was destroyed");
    if (flags) REFUSE(NotSupported, "flags of an instance are not emulated");
    *instance = new Graph(*static_cast<Graph*>(graph));
    instances.insert(*instance);
    return Success;
}
API cuGraphLaunch(void* instance, void* stream) {
    NEED_CONTEXT();
    NEED_STREAM(stream);
    if (!is_one_of(instances, instance)) REFUSE(InvalidValue, "the instance does not exist, or was destroyed");
    for (const Launch& launch : *static_cast<Graph*>(instance)) {
        NEED_FUNCTION(launch.function);
        if (Result result = run(launch)) return result;
    }
    return Success;
}
// What is destroyed keeps its address, so that no other gets it.
API cuGraphDestroy(void* graph) {
    Hold hold(lock);
    if (!graphs.erase(graph)) REFUSE(InvalidValue, "the graph does not exist, or was destroyed");
    static_cast<Graph*>(graph)->clear();
    return Success;
}
API cuGraphExecDestroy(void* instance) {
    Hold hold(lock);
    if (!instances.erase(instance)) REFUSE(InvalidValue, "the instance does not exist, or was destroyed");
    static_cast<Graph*>(instance)->clear();
    return Success;
}

// --- For tests ---

// How many streams, graphs, and instances live.
extern "C" __attribute__((visibility("default"))) size_t twEmulatorLiveGraphs() {
    Hold hold(lock);
    return streams.size() + graphs.size() + instances.size();
}
